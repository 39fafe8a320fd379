//! A card of mixed files: few large ones that hold most of the bytes, and many small ones.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Fills `at` with about `mib` MiB: seven eighths in videos of 224 MiB at most, the rest in photos
/// of 400 KiB, and a sidecar of 8 KiB for every two photos. Returns files and bytes.
pub fn fill(at: &Path, mib: u64, seed: u64) -> (u64, u64) {
    let total = mib << 20;
    let videos = (total / 8 * 7).div_ceil(224 << 20);
    let photos = total / 8 / (400 << 10);
    let mut noise = Noise(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let (mut files, mut bytes) = (0, 0);
    let mut put = |name: String, len: u64| {
        let path = at.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder of the card");
        let mut file = File::create(&path).expect("a file of the card");
        noise.write(&mut file, len);
        // Long at rest, as footage that was recorded before docking.
        let age = Duration::from_secs(86_400 + files);
        file.set_modified(SystemTime::now() - age).expect("a time");
        (files, bytes) = (files + 1, bytes + len);
    };
    for i in 0..videos {
        put(format!("DCIM/100MEDIA/VIDE{i:04}.MP4"), total / 8 * 7 / videos + i * 1001);
    }
    for i in 0..photos {
        put(format!("DCIM/{}MEDIA/PICT{i:05}.JPG", 101 + i / 999), (400 << 10) + i);
        if i % 2 == 0 {
            put(format!("DCIM/{}MEDIA/PICT{i:05}.LOG", 101 + i / 999), (8 << 10) + i);
        }
    }
    (files, bytes)
}

/// `count` files of 4 KiB.
pub fn fill_small(at: &Path, count: u64) {
    let mut noise = Noise(7);
    for i in 0..count {
        let dir = at.join(format!("DCIM/{}MEDIA", 100 + i / 1000));
        std::fs::create_dir_all(&dir).expect("a folder of the card");
        let mut file = File::create(dir.join(format!("PICT{i:05}.JPG"))).expect("a file of the card");
        noise.write(&mut file, 4096);
        file.set_modified(SystemTime::now() - Duration::from_secs(86_400)).expect("a time");
    }
}

/// Bytes that no file system and no copier can make smaller.
struct Noise(u64);

impl Noise {
    fn write(&mut self, file: &mut File, len: u64) {
        let mut left = usize::try_from(len).expect("a size");
        let mut block = vec![0; 1 << 20];
        while left > 0 {
            for word in block.chunks_exact_mut(8) {
                self.0 ^= self.0 << 13;
                self.0 ^= self.0 >> 7;
                self.0 ^= self.0 << 17;
                word.copy_from_slice(&self.0.to_le_bytes());
            }
            let n = left.min(block.len());
            file.write_all(&block[..n]).expect("room for the card");
            left -= n;
        }
    }
}
