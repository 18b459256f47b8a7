"""What a policy would be worth, estimated from episodes that another one made. NumPy only.

`estimate.py` puts the parts together: probabilities of both policies, importance sampling, fitted Q
evaluation, doubly robust, intervals and what they are to be believed.
"""
