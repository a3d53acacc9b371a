//! Bytes to the GPU and back. Whoever waits here holds no lock of ours.

use super::buffer::Buffer;
use super::device::{Gpu, gpu};
use crate::error::Result;
use crate::fail;

/// The most bytes read back in one piece.
const PIECE: u64 = 64 << 20;
/// Staging buffers kept for the next read, and the size up to which they are.
const STAGING: usize = 8;
const SMALL: u64 = 4 << 20;

/// Writes `bytes` at `offset`, after all work recorded so far.
///
/// # Errors
/// Outside the buffer, no adapter, or a lost device.
pub fn upload(buffer: &Buffer, offset: usize, bytes: &[u8]) -> Result<()> {
    let gpu = gpu()?;
    let end = offset.saturating_add(bytes.len());
    if end > buffer.bytes() {
        fail!(
            Runtime,
            "upload: bytes {offset} to {end} do not fit into a buffer of {}",
            buffer.bytes()
        );
    }
    if bytes.is_empty() {
        return Ok(());
    }
    if offset.is_multiple_of(4) && bytes.len().is_multiple_of(4) {
        write(gpu, buffer, offset, bytes);
        return Ok(());
    }
    // Words are written whole: what stands beside the bytes is read first, unless it is padding.
    let (first, last) = (offset & !3, end.next_multiple_of(4));
    let mut words = vec![0; last - first];
    if offset != first || end != buffer.bytes() {
        let head = offset - first;
        let (mut left, mut right) = ([0; 4], [0; 4]);
        if head > 0 {
            read(gpu, buffer, first as u64, &mut left)?;
        }
        if last > end {
            read(gpu, buffer, last as u64 - 4, &mut right)?;
        }
        words[..head].copy_from_slice(&left[..head]);
        let tail = last - end;
        let n = words.len();
        words[n - tail..].copy_from_slice(&right[4 - tail..]);
    }
    words[offset - first..end - first].copy_from_slice(bytes);
    write(gpu, buffer, first, &words);
    Ok(())
}

fn write(gpu: &Gpu, buffer: &Buffer, offset: usize, bytes: &[u8]) {
    let mut stream = gpu.stream.lock();
    if buffer.batch() == stream.batch {
        stream.submit(gpu);
    }
    gpu.queue
        .write_buffer(&buffer.raw().buffer, offset as u64, bytes);
}

/// Reads `out.len()` bytes from `offset`, after all work recorded so far.
///
/// # Errors
/// Outside the buffer, or what went wrong since the last wait: a bad index, an error of the driver, a
/// lost device.
pub fn download(buffer: &Buffer, offset: usize, out: &mut [u8]) -> Result<()> {
    let gpu = gpu()?;
    let end = offset.saturating_add(out.len());
    if end > buffer.bytes() {
        fail!(
            Runtime,
            "download: bytes {offset} to {end} do not lie in a buffer of {}",
            buffer.bytes()
        );
    }
    if out.is_empty() {
        return wait(gpu);
    }
    if offset.is_multiple_of(4) && out.len().is_multiple_of(4) {
        return read(gpu, buffer, offset as u64, out);
    }
    let first = offset & !3;
    let mut words = vec![0; end.next_multiple_of(4) - first];
    read(gpu, buffer, first as u64, &mut words)?;
    out.copy_from_slice(&words[offset - first..end - first]);
    Ok(())
}

/// Waits for all work, and raises what went wrong.
pub(super) fn wait(gpu: &Gpu) -> Result<()> {
    fetch(gpu, None, &mut [])
}

fn read(gpu: &Gpu, buffer: &Buffer, offset: u64, out: &mut [u8]) -> Result<()> {
    let mut at = offset;
    for piece in out.chunks_mut(PIECE as usize) {
        fetch(gpu, Some((buffer, at)), piece)?;
        at += piece.len() as u64;
    }
    Ok(())
}

/// Copies a piece and, if a kernel may have complained, the error words, and waits for both.
fn fetch(gpu: &Gpu, from: Option<(&Buffer, u64)>, out: &mut [u8]) -> Result<()> {
    let size = out.len() as u64;
    let (staging, index, complains) = {
        let mut stream = gpu.stream.lock();
        let complains = std::mem::take(&mut stream.may_complain);
        stream.waits += 1;
        if size == 0 && !complains {
            let index = stream.submit(gpu);
            (None, index, false)
        } else {
            let place = stream.staging.iter().rposition(|b| b.size() >= size + 16);
            let staging = match place {
                Some(i) => stream.staging.swap_remove(i),
                None => create(gpu, size + 16),
            };
            let trouble = stream.trouble.clone();
            let encoder = stream.encoder(gpu);
            if let Some((buffer, offset)) = from.filter(|_| size > 0) {
                encoder.copy_buffer_to_buffer(&buffer.raw().buffer, offset, &staging, 0, size);
            }
            if complains {
                encoder.copy_buffer_to_buffer(&trouble, 0, &staging, size, 16);
                encoder.clear_buffer(&trouble, 0, None);
            }
            (Some(staging), stream.submit(gpu), complains)
        }
    };
    let (sender, receiver) = std::sync::mpsc::channel();
    let used = size + if complains { 16 } else { 0 };
    if let Some(staging) = &staging {
        staging.map_async(wgpu::MapMode::Read, 0..used, move |result| {
            // The receiver is only gone if the wait below already failed.
            let _ = sender.send(result.is_ok());
        });
    }
    if let Some(index) = index {
        let wait = wgpu::PollType::Wait {
            submission_index: Some(index),
            timeout: None,
        };
        if let Err(e) = gpu.device.poll(wait) {
            gpu.raise()?;
            fail!(Runtime, "gpu: waiting for {} failed: {e}", gpu.name);
        }
    }
    gpu.raise()?;
    let Some(staging) = staging else {
        return Ok(());
    };
    if receiver.recv() != Ok(true) {
        fail!(
            Runtime,
            "gpu: {} did not hand back the memory that was read",
            gpu.name
        );
    }
    let mut words = [0; 3];
    {
        let view = match staging.get_mapped_range(0..used) {
            Ok(view) => view,
            Err(e) => fail!(Runtime, "gpu: reading from {} failed: {e}", gpu.name),
        };
        out.copy_from_slice(&view[..size as usize]);
        if complains {
            let at = size as usize;
            for (i, word) in words.iter_mut().enumerate() {
                let b = &view[at + 4 * i..at + 4 * i + 4];
                *word = u32::from_le_bytes([b[0], b[1], b[2], b[3]]);
            }
        }
    }
    staging.unmap();
    let mut stream = gpu.stream.lock();
    if stream.staging.len() < STAGING && staging.size() <= SMALL {
        stream.staging.push(staging);
    }
    stream.complaint(words)
}

fn create(gpu: &Gpu, size: u64) -> wgpu::Buffer {
    gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: super::buffer::class_of(size as usize),
        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    })
}
