"""xfer: does a facial-expression network look at a face where people do?"""

__version__ = "0.1.0"
