"""Datastores and data sets as v1 has them, over folders of this machine and addresses that fsspec opens."""
