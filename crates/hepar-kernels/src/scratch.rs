//! Buffers that outlive a call, because fresh pages cost as much as the arithmetic done in them.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

static POOL: Mutex<Vec<Vec<f32>>> = Mutex::new(Vec::new());

/// How many buffers are kept for each thread: no task takes more at once.
const KEPT: usize = 10;

/// A buffer from the pool, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Scratch(Vec<f32>);

impl Scratch {
    /// A buffer of `len` values, of which nothing is known.
    pub fn take(len: usize) -> Self {
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        // The smallest that is large enough, else the largest, which then grows.
        let fitting = |(_, buffer): &(usize, &Vec<f32>)| (buffer.capacity() < len, buffer.capacity().abs_diff(len));
        let best = pool.iter().enumerate().min_by_key(fitting).map(|(at, _)| at);
        let mut buffer = best.map(|at| pool.swap_remove(at)).unwrap_or_default();
        drop(pool);
        buffer.resize(len, 0.0);
        Self(buffer)
    }

    /// A buffer of `len` zeros.
    pub fn zeroed(len: usize) -> Self {
        let mut buffer = Self::take(len);
        buffer.fill(0.0);
        buffer
    }
}

impl Clone for Scratch {
    fn clone(&self) -> Self {
        let mut copy = Self::take(self.len());
        copy.copy_from_slice(self);
        copy
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        if pool.len() < KEPT * rayon::current_num_threads() {
            pool.push(std::mem::take(&mut self.0));
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
