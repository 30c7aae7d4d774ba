//! Finds the liver and its tumours in CT scans.
