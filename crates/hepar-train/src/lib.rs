//! Data sets, sampling, augmentation and the training loop.
