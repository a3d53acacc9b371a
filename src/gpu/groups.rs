//! Bind group layouts, of which there are few, and the cache of bind groups.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// The most storage buffers a kernel reads, and writes.
pub(super) const MOST_READS: usize = 3;
pub(super) const MOST_WRITES: usize = 2;

/// Bytes of the uniform that describes a dispatch, and of its place in the ring.
pub(super) const WALK_BYTES: u64 = 240;
pub(super) const SLOT: u64 = 256;

/// The shared layouts: operands in group 0, geometry and the error words in group 1.
pub(super) struct Layouts {
    /// By reads, then writes less one.
    pub operands: [[wgpu::BindGroupLayout; MOST_WRITES]; MOST_READS + 1],
    /// Without and with the error words.
    pub call: [wgpu::BindGroupLayout; 2],
    /// By reads, writes less one, error words.
    pub pipelines: [[[wgpu::PipelineLayout; 2]; MOST_WRITES]; MOST_READS + 1],
}

impl Layouts {
    pub fn new(device: &wgpu::Device) -> Self {
        let storage = |binding: usize, read_only: bool| wgpu::BindGroupLayoutEntry {
            binding: binding as u32,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty: wgpu::BufferBindingType::Storage { read_only },
                has_dynamic_offset: false,
                min_binding_size: None,
            },
            count: None,
        };
        let geometry = wgpu::BindGroupLayoutEntry {
            binding: 0,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty: wgpu::BufferBindingType::Uniform,
                has_dynamic_offset: true,
                min_binding_size: std::num::NonZeroU64::new(WALK_BYTES),
            },
            count: None,
        };
        let make = |entries: &[wgpu::BindGroupLayoutEntry]| {
            device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
                label: None,
                entries,
            })
        };
        let operands: [[_; MOST_WRITES]; MOST_READS + 1] = std::array::from_fn(|reads| {
            std::array::from_fn(|w| {
                let entries: Vec<_> = (0..reads + w + 1).map(|i| storage(i, i < reads)).collect();
                make(&entries)
            })
        });
        let call = [make(&[geometry]), make(&[geometry, storage(1, false)])];
        let pipelines = std::array::from_fn(|r| {
            std::array::from_fn(|w| {
                std::array::from_fn(|errors| {
                    device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                        label: None,
                        bind_group_layouts: &[Some(&operands[r][w]), Some(&call[errors])],
                        immediate_size: 0,
                    })
                })
            })
        });
        Layouts {
            operands,
            call,
            pipelines,
        }
    }
}

/// Mixes small integer keys quickly.
#[derive(Default)]
pub(super) struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            self.write_u64(u64::from_le_bytes(word));
        }
    }
    fn write_u64(&mut self, v: u64) {
        self.0 = (self.0.rotate_left(23) ^ v).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    fn write_u32(&mut self, v: u32) {
        self.write_u64(v.into());
    }
    fn write_usize(&mut self, v: usize) {
        self.write_u64(v as u64);
    }
}

/// A hash map over [`Mix`]; nothing iterates it in an order that can be seen.
pub(super) type Map<K, V> = HashMap<K, V, BuildHasherDefault<Mix>>;

/// Reads, writes, then buffer ids.
type Key = [u32; 2 + MOST_READS + MOST_WRITES];

/// Bind groups by layout and buffers; the longest unused half goes when there are too many.
#[derive(Default)]
pub(super) struct Groups {
    known: Map<Key, (wgpu::BindGroup, u64)>,
    clock: u64,
}

/// How many bind groups are kept.
const KEEP: usize = 4096;

impl Groups {
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// The bind group of `buffers`, the first `reads` of them read only.
    pub fn get(
        &mut self,
        device: &wgpu::Device,
        layouts: &Layouts,
        buffers: &[&super::Buffer],
        reads: usize,
    ) -> &wgpu::BindGroup {
        let mut key = Key::default();
        key[0] = reads as u32;
        key[1] = buffers.len() as u32;
        for (slot, buffer) in key[2..].iter_mut().zip(buffers) {
            *slot = buffer.id();
        }
        self.clock += 1;
        if self.known.len() >= KEEP && !self.known.contains_key(&key) {
            let mut ages: Vec<u64> = self.known.values().map(|v| v.1).collect();
            let (_, middle, _) = ages.select_nth_unstable(KEEP / 2);
            let middle = *middle;
            self.known.retain(|_, v| v.1 > middle);
        }
        let clock = self.clock;
        let entry = self.known.entry(key).or_insert_with(|| {
            let entries: Vec<_> = buffers
                .iter()
                .enumerate()
                .map(|(i, b)| wgpu::BindGroupEntry {
                    binding: i as u32,
                    resource: b.raw().buffer.as_entire_binding(),
                })
                .collect();
            let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: None,
                layout: &layouts.operands[reads][buffers.len() - reads - 1],
                entries: &entries,
            });
            (group, clock)
        });
        entry.1 = clock;
        &entry.0
    }

    /// Drops the bind groups that hold any of `ids`, so that those buffers can go.
    pub fn forget(&mut self, ids: &[u32]) {
        self.known
            .retain(|k, _| !k[2..].iter().any(|id| ids.contains(id)));
    }
}
