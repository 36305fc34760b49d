//! ECCSI (RFC 6507) and SAKKE (RFC 6508), parameter set 1
