//! The one device of the process: made on first use, checked on every use.

use super::adapter::{self, choose, setting};
use super::buffer::Pool;
use super::shader::Shaders;
use super::stream::Stream;
use crate::error::{Error, Result};
use crate::fail;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// The open device. Lock order: `stream`, then `pool`; neither is held while waiting for the GPU.
pub(super) struct Gpu {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub name: String,
    /// The largest buffer that can be bound.
    pub max_bytes: u64,
    pub layouts: super::groups::Layouts,
    pub shaders: Shaders,
    pub stream: Mutex<Stream>,
    pub pool: Mutex<Pool>,
    /// Set once, when the driver gives up.
    pub lost: Arc<AtomicBool>,
    /// The first error that no scope caught, raised at the next wait.
    pub message: Arc<Mutex<Option<String>>>,
    process: u32,
}

static GPU: OnceLock<Result<Gpu>> = OnceLock::new();

/// The device, opened on first use.
///
/// # Errors
/// No adapter, a lost device, or a process that was forked off the one that opened it.
pub(super) fn gpu() -> Result<&'static Gpu> {
    let gpu = GPU.get_or_init(open).as_ref().map_err(Clone::clone)?;
    if gpu.process != std::process::id() {
        fail!(
            Runtime,
            "gpu: cannot re-initialize CUDA in forked subprocess; use the 'spawn' start method for processes that use the GPU"
        );
    }
    if gpu.lost.load(Ordering::Relaxed) {
        return Err(gpu.lost_error());
    }
    Ok(gpu)
}

/// The device if it is open, without opening it.
pub(super) fn opened() -> Option<&'static Gpu> {
    GPU.get()?.as_ref().ok()
}

fn open() -> Result<Gpu> {
    let setting = setting();
    if setting.eq_ignore_ascii_case("off") {
        choose(&setting, &[])?;
    }
    let Some(found) = adapter::found() else {
        fail!(
            Runtime,
            "gpu: the graphics drivers of this machine failed while being asked for adapters"
        );
    };
    let infos: Vec<_> = found.list.iter().map(|(_, info)| info.clone()).collect();
    let index = choose(&setting, &infos)?;
    let attempt = || connect(&found.list[index].0, &infos[index].name);
    // What a panic leaves behind is never looked at again.
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(attempt)) {
        Ok(result) => result,
        Err(_) => fail!(
            Runtime,
            "gpu: the driver of {} failed while it was opened",
            infos[index].name
        ),
    }
}

fn connect(adapter: &wgpu::Adapter, name: &str) -> Result<Gpu> {
    let limits = adapter.limits();
    let wanted = wgpu::DeviceDescriptor {
        label: Some("rgrad"),
        required_features: wgpu::Features::empty(),
        required_limits: limits.clone(),
        experimental_features: wgpu::ExperimentalFeatures::disabled(),
        memory_hints: wgpu::MemoryHints::Performance,
        trace: wgpu::Trace::Off,
    };
    let (device, queue) = match pollster::block_on(adapter.request_device(&wanted)) {
        Ok(pair) => pair,
        Err(e) => fail!(Runtime, "gpu: {name} could not be opened: {e}"),
    };
    let message = Arc::new(Mutex::new(None));
    let lost = Arc::new(AtomicBool::new(false));
    let note = message.clone();
    device.on_uncaptured_error(Arc::new(move |e: wgpu::Error| {
        note.lock().get_or_insert_with(|| e.to_string());
    }));
    let (flag, note) = (lost.clone(), message.clone());
    device.set_device_lost_callback(move |reason, text| {
        // A device that is dropped or destroyed by us is no accident to report.
        if reason != wgpu::DeviceLostReason::Destroyed {
            note.lock().get_or_insert(text);
        }
        flag.store(true, Ordering::Relaxed);
    });
    let layouts = super::groups::Layouts::new(&device);
    let stream = Stream::new(&device, &layouts);
    Ok(Gpu {
        name: name.to_string(),
        max_bytes: limits
            .max_storage_buffer_binding_size
            .min(limits.max_buffer_size),
        shaders: Shaders::default(),
        stream: Mutex::new(stream),
        pool: Mutex::new(Pool::default()),
        process: std::process::id(),
        device,
        queue,
        layouts,
        lost,
        message,
    })
}

impl Gpu {
    /// The error that every call gives once the device is lost.
    pub fn lost_error(&self) -> Error {
        let why = self.message.lock().clone().unwrap_or_default();
        let why = if why.is_empty() {
            String::new()
        } else {
            format!(" ({})", why.trim())
        };
        Error::Runtime(format!(
            "gpu: {} was lost{why}; tensors on it are gone, those on the CPU live on",
            self.name
        ))
    }

    /// Raises what the driver said since the last time, if anything.
    pub fn raise(&self) -> Result<()> {
        if self.lost.load(Ordering::Relaxed) {
            return Err(self.lost_error());
        }
        match self.message.lock().take() {
            None => Ok(()),
            Some(text) => fail!(
                Runtime,
                "gpu: {} reported an error: {}",
                self.name,
                text.trim()
            ),
        }
    }
}

/// Whether there is a GPU to use. Opens it; never fails and never prints.
pub fn is_available() -> bool {
    gpu().is_ok()
}

/// Why there is no GPU to use, if there is none.
pub fn why_not() -> Option<Error> {
    gpu().err()
}

/// One if there is a GPU to use, else zero.
pub fn device_count() -> usize {
    usize::from(is_available())
}

/// The adapter's name.
///
/// # Errors
/// No adapter.
pub fn device_name() -> Result<String> {
    Ok(gpu()?.name.clone())
}
