"""Results as values: what can go wrong, what a server replied, what secured a connection, what came of a message.

They know each other (an error carries its receipt, a receipt its error) and nothing else of the package.
"""
