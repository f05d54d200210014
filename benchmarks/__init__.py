"""Benchmarks: tinynet compared with other libraries, with NumPy by hand, and with lower limits.

    python -m benchmarks              # measure everything; --help lists the options
    python -m benchmarks compare OLD.json NEW.json  # print what became slower
    python -m benchmarks readme FILE.json           # write the tables of README and docs
    python -m benchmarks small        # time single functions, for work on the source

`works.py` and `functions.py` define the workloads and the goals, `contestants/` the programs,
`harness.py` the method. `worker.py` is the process in which a contestant runs. `results.py` defines
the results file, `report.py` and `plots.py` show it, `compare.py` compares two of them. Nothing
here is part of the package.
"""
