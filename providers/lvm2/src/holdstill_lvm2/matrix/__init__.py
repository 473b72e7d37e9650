"""Which client may image volumes of LVM1 and LVM2, and where such images may go."""
