"""Results as values: errors, server replies, the security of a connection, and the result of a message.

They refer to each other (an error carries its receipt, a receipt its error) and to nothing else of the package.
"""
