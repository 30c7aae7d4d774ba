//! Reads a scan a few times and prints the least seconds and the most memory: for `benches/dicom.py`.

use std::path::Path;
use std::time::Instant;

use hepar_formats::read_scan;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: load_scan PATH [TIMES]")?;
    let times: usize = std::env::args().nth(2).map_or(Ok(1), |times| times.parse())?;
    let (mut least, mut shape) = (f64::INFINITY, [0; 3]);
    for _ in 0..times {
        let started = Instant::now();
        shape = read_scan(Path::new(&path))?.volume.shape();
        least = least.min(started.elapsed().as_secs_f64());
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("unknown").trim().to_owned();
    println!("{least:.3} s, {peak}, {shape:?}");
    Ok(())
}
