//! hepar's own protocol: lesions one to one, what is undefined named so.
