"""From the records of other tools to a declaration of ours, losing nothing silently. Pure: texts in, a Document out.

Every field of the input is expressed in the declaration, or it *stays* where it is and goes on working without us, or
it is *lost*; the last two are said one by one, with the reason.
"""
