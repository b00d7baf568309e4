//! Where secrets are kept and fetched.
