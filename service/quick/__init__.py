"""The quick path: small scoring requests whose like has been seen before, answered with what was prepared then.

Scoring a hundred customers the general way costs 1.2 ms, of which their own numbers take 10 µs: the rest is deciding,
again and again, which column plays which part, and building the same schemas, labels and texts. All that depends only
on the query, the headers, the model and the *form* of the body, so it is done once per form and kept (`form.py`).

The quick path answers the plain case and nothing else; in any doubt it steps back and the general path answers, which
also tells every error. What it answers is, byte for byte, what the general path would have.

It is asked in two places: by the connection, below ASGI, where a whole request arrives whose head is known
(`direct.py`), and by the endpoint for all others.
"""
