//! mcbox: the one command that runs the lab
