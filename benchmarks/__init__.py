"""Benchmarks: what tinynet costs beside what people would use instead, and beside the limit.

    python -m benchmarks              # everything; --help says how to ask for less
    python -m benchmarks compare OLD.json NEW.json
    python -m benchmarks readme FILE.json
    python -m benchmarks small        # for those who work on the source

`works.py` says what is measured, `contestants/` with what, `harness.py` how; `worker.py` is the
process that each contestant has to itself; `results.py` is the file of results, `report.py` and
`plots.py` show it, `compare.py` compares two. Nothing here is part of the package.
"""
