"""The scripts here are run by `test_scripts.py`; pytest must not import them."""

collect_ignore_glob = ["*.py"]
