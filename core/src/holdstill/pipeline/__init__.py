"""One file per arrow of the way of the data; the loops are all here."""
