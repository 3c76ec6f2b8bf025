"""A look at this machine: what training needs, what is there, and what to do about what isn't.

`findings` judges by pure functions of readings, `look` takes the readings, `torch_facts` is asked in a process of its
own, since importing torch takes seconds.
"""
