//! The command stream: dispatches gather in one open compute pass and are submitted in batches.
//!
//! Host writes are ordered by the queue, not by the pass, so whoever writes into a buffer that the open
//! batch uses submits it first.

use super::buffer::Buffer;
use super::device::{Gpu, gpu, opened};
use super::groups::{Groups, Layouts, SLOT, WALK_BYTES};
use super::operand::{Counters, Loops};
use super::shader::Pipeline;
use crate::error::Result;
use crate::fail;
use std::collections::VecDeque;

/// Dispatches of a batch. Fewer starve the device, more delay it; 64 is where the cost of a submit
/// (4 to 9 us) falls below a tenth of the recording.
const BATCH: usize = 64;
/// Batches in flight before the host waits.
const IN_FLIGHT: usize = 8;
/// Uniform buffers taken in turn: one more than the batches in flight, so none is written while read.
const RING: usize = IN_FLIGHT + 1;
/// The most workgroups along one axis that every adapter has.
pub(super) const MOST_GROUPS: u32 = 65535;

/// The most dimensions a kernel walks.
pub(super) const MOST_LOOPS: usize = 8;

/// What the prelude calls `Walk`: word for word the same.
#[derive(Clone, Copy, Default)]
pub(super) struct Walk {
    pub count: u32,
    pub invocations: u32,
    pub rank: u32,
    pub tag: u32,
    pub params: [u32; 4],
    pub offsets: [u32; 4],
    pub steps: [u32; 4],
    pub extra: [u32; 4],
    pub sizes: [u32; 8],
    pub strides: [[u32; 4]; 8],
}

impl Walk {
    /// Takes over what `collapse` made; at most [`MOST_LOOPS`] of them.
    pub fn set_loops(&mut self, loops: &Loops) {
        self.rank = loops.len() as u32;
        for (d, (size, strides)) in loops.iter().enumerate() {
            self.sizes[d] = *size as u32;
            self.strides[d] = strides.map(|s| s as u32);
        }
    }

    fn put(&self, out: &mut [u8]) {
        let head = [self.count, self.invocations, self.rank, self.tag];
        let rows = [&head, &self.params, &self.offsets, &self.steps, &self.extra];
        let words = rows
            .into_iter()
            .flatten()
            .chain(&self.sizes)
            .chain(self.strides.iter().flatten());
        for (place, word) in out.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
    }
}

/// One dispatch.
pub(super) struct Job<'a> {
    pub op: &'a str,
    pub pipeline: &'a Pipeline,
    /// The read ones first.
    pub buffers: &'a [&'a Buffer],
    pub walk: Walk,
    pub grid: [u32; 3],
}

struct Ring {
    buffer: wgpu::Buffer,
    /// Without and with the error words.
    groups: [wgpu::BindGroup; 2],
}

pub(super) struct Stream {
    encoder: Option<wgpu::CommandEncoder>,
    pass: Option<wgpu::ComputePass<'static>>,
    ring: Vec<Ring>,
    words: Vec<u8>,
    pending: usize,
    /// The number of the open batch.
    pub batch: u64,
    in_flight: VecDeque<wgpu::SubmissionIndex>,
    pub groups: Groups,
    /// The error words: tag of the op, the long it met, whether they are taken.
    pub trouble: wgpu::Buffer,
    /// Whether a kernel that may complain ran since the words were last read.
    pub may_complain: bool,
    tags: Vec<Box<str>>,
    pub staging: Vec<wgpu::Buffer>,
    dispatches: u64,
    pub waits: u64,
}

/// Workgroups for `count` of them: x, and y where x is not enough.
pub(super) fn grid_of(count: u64) -> [u32; 3] {
    let x = count.clamp(1, MOST_GROUPS.into()) as u32;
    [x, count.div_ceil(x.into()).max(1) as u32, 1]
}

impl Stream {
    pub fn new(device: &wgpu::Device, layouts: &Layouts) -> Self {
        let make = |size: u64, usage| {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: None,
                size,
                usage: usage | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        };
        let trouble = make(
            16,
            wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC,
        );
        let ring = (0..RING).map(|_| {
            let buffer = make(BATCH as u64 * SLOT, wgpu::BufferUsages::UNIFORM);
            let groups = [0, 1].map(|errors: usize| {
                let place = wgpu::BufferBinding {
                    buffer: &buffer,
                    offset: 0,
                    size: std::num::NonZeroU64::new(WALK_BYTES),
                };
                let entries = [
                    wgpu::BindGroupEntry {
                        binding: 0,
                        resource: wgpu::BindingResource::Buffer(place),
                    },
                    wgpu::BindGroupEntry {
                        binding: 1,
                        resource: trouble.as_entire_binding(),
                    },
                ];
                device.create_bind_group(&wgpu::BindGroupDescriptor {
                    label: None,
                    layout: &layouts.call[errors],
                    entries: &entries[..=errors],
                })
            });
            Ring { buffer, groups }
        });
        Stream {
            ring: ring.collect(),
            encoder: None,
            pass: None,
            words: vec![0; BATCH * SLOT as usize],
            pending: 0,
            batch: 1,
            in_flight: VecDeque::new(),
            groups: Groups::default(),
            trouble,
            may_complain: false,
            tags: Vec::new(),
            staging: Vec::new(),
            dispatches: 0,
            waits: 0,
        }
    }

    /// Appends a dispatch to the open batch; submits the batch when it is full.
    pub fn push(&mut self, gpu: &Gpu, job: Job) {
        let errors = usize::from(job.pipeline.complains);
        let mut walk = job.walk;
        if job.pipeline.complains {
            walk.tag = self.tag(job.op);
            self.may_complain = true;
        }
        let at = self.pending * SLOT as usize;
        walk.put(&mut self.words[at..at + WALK_BYTES as usize]);
        if self.pass.is_none() {
            let encoder = self.encoder.get_or_insert_with(|| {
                gpu.device
                    .create_command_encoder(&wgpu::CommandEncoderDescriptor::default())
            });
            self.pass = Some(
                encoder
                    .begin_compute_pass(&Default::default())
                    .forget_lifetime(),
            );
        }
        let pass = self.pass.as_mut().expect("the pass was opened just now");
        pass.set_pipeline(&job.pipeline.raw);
        let group = self
            .groups
            .get(&gpu.device, &gpu.layouts, job.buffers, job.pipeline.reads);
        pass.set_bind_group(0, group, &[]);
        let ring = &self.ring[self.batch as usize % RING];
        pass.set_bind_group(1, &ring.groups[errors], &[at as u32]);
        let [x, y, z] = job.grid;
        pass.dispatch_workgroups(x, y, z);
        for buffer in job.buffers {
            buffer.touch(self.batch);
        }
        self.pending += 1;
        self.dispatches += 1;
        if self.pending == BATCH {
            self.submit(gpu);
        }
    }

    /// The encoder after the pass was closed, for copies.
    pub fn encoder(&mut self, gpu: &Gpu) -> &mut wgpu::CommandEncoder {
        self.pass = None;
        self.encoder.get_or_insert_with(|| {
            gpu.device
                .create_command_encoder(&wgpu::CommandEncoderDescriptor::default())
        })
    }

    /// Hands the open batch to the device; returns what to wait for, if anything is in flight.
    pub fn submit(&mut self, gpu: &Gpu) -> Option<wgpu::SubmissionIndex> {
        self.pass = None;
        let Some(encoder) = self.encoder.take() else {
            return self.in_flight.back().cloned();
        };
        if self.pending > 0 {
            let ring = &self.ring[self.batch as usize % RING];
            gpu.queue
                .write_buffer(&ring.buffer, 0, &self.words[..self.pending * SLOT as usize]);
        }
        let index = gpu.queue.submit([encoder.finish()]);
        self.pending = 0;
        self.batch += 1;
        self.in_flight.push_back(index.clone());
        if self.in_flight.len() > IN_FLIGHT
            && let Some(old) = self.in_flight.pop_front()
        {
            // A lost device is reported by the next call; there is nothing to wait for then.
            let _ = gpu.device.poll(wgpu::PollType::Wait {
                submission_index: Some(old),
                timeout: None,
            });
        }
        Some(index)
    }

    fn tag(&mut self, op: &str) -> u32 {
        let known = self.tags.iter().rposition(|t| **t == *op);
        let place = known.unwrap_or_else(|| {
            self.tags.push(op.into());
            self.tags.len() - 1
        });
        place as u32 + 1
    }

    /// The error that the words stand for: tag of the op, and the long it met.
    pub fn complaint(&self, words: [u32; 3]) -> Result<()> {
        if words[0] == 0 {
            return Ok(());
        }
        let op = self.tags.get(words[0] as usize - 1).map_or("gpu", |t| t);
        let value = (u64::from(words[2]) << 32 | u64::from(words[1])) as i64;
        if i32::try_from(value).is_ok() {
            fail!(
                Runtime,
                "{op}: index {value} is out of range (noticed when the GPU's work was waited for)"
            );
        }
        fail!(
            Runtime,
            "{op}: {value} is out of range (the GPU computes with longs of 32 bits; noticed when its work was waited for)"
        );
    }
}

/// Appends a dispatch to the stream.
pub(super) fn push(gpu: &Gpu, job: Job) {
    gpu.stream.lock().push(gpu, job);
}

/// Hands all recorded work to the device, without waiting for it.
///
/// # Errors
/// No adapter, or a lost device.
pub fn flush() -> Result<()> {
    let gpu = gpu()?;
    gpu.stream.lock().submit(gpu);
    Ok(())
}

/// Waits until all work is done.
///
/// # Errors
/// What went wrong since the last wait: a bad index, an error of the driver, a lost device.
pub fn synchronize() -> Result<()> {
    // Reading nothing waits for everything, and brings the error words along.
    super::transfer::wait(gpu()?)
}

/// Live objects and work so far; all zero while no adapter was opened.
pub fn counters() -> Counters {
    let Some(gpu) = opened() else {
        return Counters::default();
    };
    let stream = gpu.stream.lock();
    let pool = gpu.pool.lock();
    Counters {
        live_buffers: pool.live,
        live_bytes: pool.live_bytes,
        free_buffers: pool.waiting,
        free_bytes: pool.waiting_bytes,
        bind_groups: stream.groups.len(),
        pipelines: gpu.shaders.len(),
        dispatches: stream.dispatches,
        submits: stream.batch - 1,
        waits: stream.waits,
    }
}
