"""Hypernetworks as changes of a base model's weights, for programs that know no hypernetworks.

A network without activation and layer norm is a linear map f(x) = Fx + b. At strength m the key projection sees
x + m(Fx + b), so its weight W becomes W(I + mF) and W·mb is added to every key. That shifts all scores of a query
alike, which the softmax takes out. Likewise for values, but there W·mb is added to every output of the attention,
since its weights add up to 1: it goes into the bias of the output projection. The change is exact.
"""
