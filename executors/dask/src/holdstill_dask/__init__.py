"""Workers of a dask.distributed scheduler, for the heavy reading."""
