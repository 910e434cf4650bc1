"""Value schemes: named, simple answers about customers, computed in the pass that aggregates them.

To add one, write one file `service/schemes/<name>.py` with a `SCHEME` (scheme.py); all else draws on it: options,
errors, reply, summary, model, `GET /v1/schemes`, `segserve schemes`, the table in proto/README.md (`make contract`).

1. Declare: title and question in both languages, formula, classes (code, en, zh, one action each), `columns` that it
   reads beside the base's (number, flag, label, id, time), `parameters`, `figures` (reply columns `<name>_<figure>`).
2. `accumulate` says what to keep per customer while rows pass (accumulations.py). A new kind of state is a kernel with
   a naive twin (kernels/column_sums.py is the shortest), a line in kernels/warmup_accumulators.py, and a small class
   in accumulations.py.
3. `freeze` finds the population's cuts at a fit, as JSON; `classify` is a pure function of customer, parameters and
   cuts, so that the same customer gets the same class alone and in the crowd; −1 is unknown: a missing value, or a
   denominator that is not above 0. `summarise` tells figures of the whole.
4. Test in tests/service/schemes/test_<name>.py: a naive twin in plain Python and an example worked by hand, with the
   empty, the single and the tied case. test_all_schemes.py scores every scheme alone and in the crowd, in any batches
   and threads, and checks its declaration: it needs no change.
"""
