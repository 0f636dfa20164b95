"""Mail to one server: connections acquired, shared and replaced (``pool``), one message over one of them
(``dispatch``), many over one (``pipeline``) or several (``crew``), and a limit on the rate (``pace``)."""
