"""Scenarios, one file each, named as in MLPerf Inference (Reddi et al. 2020, ISCA).

`work(model, job, call)` runs in the measured process, after import, load and first answer were timed, and returns its
part of the answer. `fill(case, answers)` fills a case from the answers, one per process. If variants are compared,
`COMPARED` names the compared quantity, and `compared(answer)` returns it as an array; smaller is better.
"""
