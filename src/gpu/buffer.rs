//! Buffers and their pool: one GPU buffer for each storage, in size classes, reused last in first out,
//! so that a steady loop gets the same buffers in the same order and its bind groups stay valid.
//!
//! A buffer given back may be reused at once: everything runs in the order of one stream. Also the one
//! place that turns off the shader checks, for it is buffers that they guard.

use super::device::{Gpu, gpu, opened};
use crate::error::{Error, Result};
use crate::fail;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Memory on the GPU. Clones share it; the last one gives it back to the pool.
#[derive(Clone)]
pub struct Buffer(Arc<Lease>);

struct Lease {
    raw: Option<Raw>,
    bytes: usize,
}

/// A buffer of the pool.
pub(super) struct Raw {
    pub buffer: wgpu::Buffer,
    /// Unique in the process; names the buffer in cached bind groups.
    pub id: u32,
    pub class: u64,
    /// The batch of the stream that last used it, whoever held it then.
    batch: AtomicU64,
}

/// Free buffers by size class.
#[derive(Default)]
pub(super) struct Pool {
    free: BTreeMap<u64, Vec<Raw>>,
    next: u32,
    pub live: usize,
    pub live_bytes: u64,
    pub waiting: usize,
    pub waiting_bytes: u64,
}

/// The size that is really allocated: powers of two, with quarter steps above 1 MiB.
pub(super) fn class_of(bytes: usize) -> u64 {
    let bytes = (bytes as u64).max(256);
    let power = bytes.next_power_of_two();
    if bytes <= 1 << 20 {
        return power;
    }
    let step = power / 8;
    bytes.div_ceil(step) * step
}

impl Buffer {
    /// The bytes asked for.
    pub fn bytes(&self) -> usize {
        self.0.bytes
    }

    pub(super) fn raw(&self) -> &Raw {
        self.0
            .raw
            .as_ref()
            .expect("a lease holds its buffer until it is dropped")
    }

    pub(super) fn id(&self) -> u32 {
        self.raw().id
    }

    /// Notes that the stream's batch uses it.
    pub(super) fn touch(&self, batch: u64) {
        self.raw().batch.store(batch, Ordering::Relaxed);
    }

    /// The batch that last used it.
    pub(super) fn batch(&self) -> u64 {
        self.raw().batch.load(Ordering::Relaxed)
    }
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "Buffer({}, {} bytes)", self.id(), self.bytes())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let (Some(raw), Some(gpu)) = (self.raw.take(), opened()) {
            let mut pool = gpu.pool.lock();
            pool.live -= 1;
            pool.live_bytes -= raw.class;
            pool.waiting += 1;
            pool.waiting_bytes += raw.class;
            pool.free.entry(raw.class).or_default().push(raw);
        }
    }
}

/// A buffer of at least `bytes` bytes, with anything in it.
///
/// # Errors
/// No adapter, more than one binding can hold, or no memory even after the pool was emptied.
pub fn alloc(bytes: usize) -> Result<Buffer> {
    let gpu = gpu()?;
    let class = class_of(bytes).min(gpu.max_bytes & !255);
    if bytes as u64 > class {
        fail!(
            Memory,
            "gpu: {bytes} bytes were asked for, but one tensor on {} holds at most {}",
            gpu.name,
            gpu.max_bytes & !255
        );
    }
    let reused = {
        let mut pool = gpu.pool.lock();
        pool.live += 1;
        pool.live_bytes += class;
        let raw = pool.free.get_mut(&class).and_then(Vec::pop);
        if raw.is_some() {
            pool.waiting -= 1;
            pool.waiting_bytes -= class;
        }
        raw
    };
    let raw = match reused {
        Some(raw) => Ok(raw),
        None => create(gpu, class).or_else(|_| {
            // Under pressure: let pending work finish, give everything unused back, and try once more.
            super::stream::synchronize()?;
            empty_cache();
            create(gpu, class)
        }),
    };
    match raw {
        Ok(raw) => Ok(Buffer(Arc::new(Lease {
            raw: Some(raw),
            bytes,
        }))),
        Err(e) => {
            let mut pool = gpu.pool.lock();
            pool.live -= 1;
            pool.live_bytes -= class;
            Err(e)
        }
    }
}

fn create(gpu: &Gpu, class: u64) -> Result<Raw> {
    let memory = gpu.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
    let misuse = gpu.device.push_error_scope(wgpu::ErrorFilter::Validation);
    let buffer = gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: class,
        usage: wgpu::BufferUsages::STORAGE
            | wgpu::BufferUsages::COPY_SRC
            | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    let wrong = pollster::block_on(misuse.pop()).or(pollster::block_on(memory.pop()));
    if let Some(e) = wrong {
        return Err(Error::Memory(format!(
            "gpu: {} has no room for {class} bytes more: {e}",
            gpu.name
        )));
    }
    let mut pool = gpu.pool.lock();
    pool.next += 1;
    Ok(Raw {
        buffer,
        id: pool.next,
        class,
        batch: AtomicU64::new(0),
    })
}

/// Gives the memory of unused buffers back to the driver.
pub fn empty_cache() {
    let Some(gpu) = opened() else { return };
    let gone: Vec<Raw> = {
        let mut pool = gpu.pool.lock();
        pool.waiting = 0;
        pool.waiting_bytes = 0;
        std::mem::take(&mut pool.free)
            .into_values()
            .flatten()
            .collect()
    };
    let ids: Vec<u32> = gone.iter().map(|r| r.id).collect();
    gpu.stream.lock().groups.forget(&ids);
}

/// A shader module of ours; without run-time checks in release builds, where they cost a third of a
/// matrix product. Integer division keeps its checks: divisors are users' data.
pub(super) fn module(device: &wgpu::Device, label: &str, text: &str) -> wgpu::ShaderModule {
    let wanted = wgpu::ShaderModuleDescriptor {
        label: Some(label),
        source: wgpu::ShaderSource::Wgsl(text.into()),
    };
    if cfg!(debug_assertions) {
        return device.create_shader_module(wanted);
    }
    let checks = wgpu::ShaderRuntimeChecks {
        int_div_checks: true,
        ..wgpu::ShaderRuntimeChecks::unchecked()
    };
    // SAFETY: no shader reaches outside its buffers or loops for ever: `Operand::check` proves every
    // element inside before a dispatch, kernels compare indexes from data with sizes, formulas cannot
    // index, and every loop counts up to a number in the uniform. Tests run the checked form.
    unsafe { device.create_shader_module_trusted(wanted, checks) }
}
