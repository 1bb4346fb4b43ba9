//! Frames of 6 MB that are written once and copied by no reader that keeps up: a camera, a recorder
//! and a detector that read in place, and a slow preview that takes a copy now and then.
//!
//! `cargo run --release --example frames`

use std::error::Error;
use std::thread::sleep;
use std::time::{Duration, Instant};

use shmq::{GetError, Process, Topic};

const WIDTH: usize = 1920;
const HEIGHT: usize = 1080;
const FRAMES: u64 = 120;
const PERIOD: Duration = Duration::from_nanos(1_000_000_000 / 60);
/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(100);

/// Plain data: no padding, no pointers, any bits are a frame. So it can be written and read in
/// place.
#[shmq::message]
struct Frame {
    number: u64,
    pixels: [[[u8; 3]; WIDTH]; HEIGHT],
}

fn main() -> Result<(), Box<dyn Error>> {
    let frames = Topic::<Frame>::new(6)?;
    // Lossy: the camera never waits for it. A frame that is overwritten while it is copied is none.
    let preview = frames.subscribe_lossy()?;
    let readers = ["recorder", "detector"].map(|name| Process::spawn(|| watch(&frames, name)));
    let camera = Process::spawn(|| film(&frames))?;

    loop {
        match preview.next_boxed() {
            Ok(frame) => assert!(is_whole(&frame), "frame {} is torn", frame.number), // shows it, which takes a while
            Err(GetError::Lagged { .. }) => continue, // so many it did not see; go on with what is left
            Err(GetError::Closed) => break,
            Err(error) => return Err(error.into()),
        }
        sleep(Duration::from_millis(100));
    }
    println!("preview: showed {} frames and missed {}", preview.received(), preview.missed());
    assert_eq!(preview.received() + preview.missed(), FRAMES);

    assert!(camera.join()?.success());
    for reader in readers {
        assert!(reader?.join()?.success());
    }
    Ok(())
}

/// The camera: every frame is one shade of grey.
fn film(frames: &Topic<Frame>) -> Result<(), Box<dyn Error>> {
    frames.wait_subscribers(2, PATIENCE)?;
    let publisher = frames.publisher()?;
    let start = Instant::now();
    for number in 0..FRAMES {
        // A loan is room in the ring. No reader sees anything of it before `commit`.
        let mut frame = publisher.loan_timeout(PATIENCE)?;
        frame.number = number;
        frame.pixels.as_flattened_mut().as_flattened_mut().fill(number as u8);
        frame.commit()?;
        sleep((PERIOD * (number as u32 + 1)).saturating_sub(start.elapsed()));
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("camera: {FRAMES} frames of {WIDTH}x{HEIGHT} in {seconds:.1} s, each written once for three readers");
    frames.close();
    Ok(())
}

/// Reads all frames where they lie. The camera overwrites none that is being read.
fn watch(frames: &Topic<Frame>, name: &str) -> Result<(), Box<dyn Error>> {
    let mut subscriber = frames.subscribe()?;
    for expected in 0..FRAMES {
        let frame = subscriber.read()?;
        assert!(frame.number == expected && is_whole(&frame), "frame {expected}");
    }
    println!("{name}: read all {FRAMES} frames in place");
    Ok(())
}

fn is_whole(frame: &Frame) -> bool {
    let shade = frame.number as u8;
    frame.pixels.iter().all(|row| row.as_flattened() == [shade; 3 * WIDTH])
}
