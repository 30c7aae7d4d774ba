//! Buffers that outlive a call, because fresh pages cost as much as the arithmetic done in them.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

/// Buffers by their capacity.
static POOL: Mutex<Pool> = Mutex::new(Pool { buffers: BTreeMap::new(), count: 0 });

struct Pool {
    buffers: BTreeMap<usize, Vec<Vec<f32>>>,
    count: usize,
}

/// How many buffers are kept; a training step of RA-UNet has some three hundred at a time.
const KEPT: usize = 1024;

/// How much larger than it has to be a buffer may be that is used again.
const SLACK: usize = 2;

/// A buffer from the pool, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Scratch(Vec<f32>);

/// Hands over a buffer that is no longer needed, so that a result of a later call lies in its pages.
pub fn recycle(values: Vec<f32>) {
    drop(Scratch(values));
}

impl Scratch {
    /// A buffer of `len` values, of which nothing is known.
    pub fn take(len: usize) -> Self {
        Self(taken(len))
    }

    /// A buffer of `len` zeros.
    pub fn zeroed(len: usize) -> Self {
        let mut buffer = Self::take(len);
        buffer.fill(0.0);
        buffer
    }
}

/// A buffer of `len` values, of which nothing is known, for a result that leaves the crate.
pub(crate) fn taken(len: usize) -> Vec<f32> {
    let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    let fitting = pool.buffers.range_mut(len..=SLACK * len).find_map(|(_, buffers)| buffers.pop());
    pool.count -= usize::from(fitting.is_some());
    drop(pool);
    match fitting {
        Some(mut buffer) => {
            buffer.resize(len, 0.0);
            buffer
        }
        None => vec![0.0; len],
    }
}

impl Clone for Scratch {
    fn clone(&self) -> Self {
        let mut copy = Self::take(self.len());
        copy.copy_from_slice(self);
        copy
    }
}

impl From<Vec<f32>> for Scratch {
    fn from(values: Vec<f32>) -> Self {
        Self(values)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let capacity = self.0.capacity();
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        if capacity > 0 && pool.count < KEPT {
            pool.count += 1;
            pool.buffers.entry(capacity).or_default().push(std::mem::take(&mut self.0));
        }
    }
}

impl Deref for Scratch {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.0
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_that_was_given_back_is_used_again_if_it_fits() {
        // A size that no other test takes.
        let mut values = vec![1.0f32; 7_000_001];
        values[0] = 42.0;
        let place = values.as_ptr();
        recycle(values);
        let smaller = Scratch::take(6_000_000);
        assert_eq!((smaller.as_ptr(), smaller[0]), (place, 42.0));
        assert_ne!(Scratch::take(6_000_000).as_ptr(), place, "it is in use");
        drop(smaller);
        assert!(Scratch::zeroed(6_000_000).iter().all(|value| *value == 0.0));
        assert_ne!(Scratch::take(1000).as_ptr(), place, "it is far too large");
    }
}
