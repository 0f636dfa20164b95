"""Carrying mail to one server: connections lent, shared and replaced (``pool``), one message over one of them
(``dispatch``), many over one (``pipeline``) or several (``crew``), and no more in a time than is allowed (``pace``)."""
