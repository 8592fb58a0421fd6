"""What a bundle is put through, one file a scenario, in the terms of MLPerf Inference (Reddi et al. 2020, ISCA).

`work(model, job, call)` runs in the measured process, after import, load and first answer have been marked, and gives
its part of the answer. `fill(case, answers)` makes the case of the answers, one a process. Where variants are compared,
`COMPARED` names what of, and `compared(answer)` gives it as an array that is smaller for the better variant.
"""
