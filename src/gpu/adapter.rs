//! Finding an adapter: lazily, quietly, and as `RGRAD_GPU` says.

use super::operand::AdapterInfo;
use crate::error::{Error, Result};
use std::sync::OnceLock;

/// The instance and what it found, kept for good: running GPU destructors at exit helps nobody.
pub(super) struct Found {
    pub list: Vec<(wgpu::Adapter, AdapterInfo)>,
    _instance: wgpu::Instance,
}

static FOUND: OnceLock<Option<Found>> = OnceLock::new();

/// What `RGRAD_GPU` says; `auto` when it says nothing.
pub(super) fn setting() -> String {
    std::env::var("RGRAD_GPU")
        .unwrap_or_default()
        .trim()
        .to_string()
}

/// Every adapter there is; none when drivers are missing or fail to load.
pub(super) fn found() -> Option<&'static Found> {
    // Drivers are foreign code: what they do wrong while being probed must not end the process.
    FOUND
        .get_or_init(|| std::panic::catch_unwind(probe).ok())
        .as_ref()
}

fn probe() -> Found {
    let mut wanted = wgpu::InstanceDescriptor::new_without_display_handle();
    wanted.backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
    wanted.flags = wgpu::InstanceFlags::empty();
    let instance = wgpu::Instance::new(wanted);
    let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    let list = adapters.into_iter().map(|a| {
        let info = describe(&a.get_info());
        (a, info)
    });
    Found {
        list: list.collect(),
        _instance: instance,
    }
}

fn describe(info: &wgpu::AdapterInfo) -> AdapterInfo {
    AdapterInfo {
        name: info.name.clone(),
        backend: info.backend.to_str().into(),
        driver: format!("{} {}", info.driver, info.driver_info)
            .trim()
            .into(),
        is_software: info.device_type == wgpu::DeviceType::Cpu,
    }
}

/// Every adapter of this machine, usable or not; empty with `RGRAD_GPU=off`.
pub fn adapters() -> Vec<AdapterInfo> {
    if setting().eq_ignore_ascii_case("off") {
        return Vec::new();
    }
    found().map_or(Vec::new(), |f| {
        f.list.iter().map(|(_, info)| info.clone()).collect()
    })
}

/// Which of `infos` the setting means.
///
/// # Errors
/// A sentence that says why none is used and what would change that.
pub(super) fn choose(setting: &str, infos: &[AdapterInfo]) -> Result<usize> {
    let real = || infos.iter().position(|a| !a.is_software);
    let names = || {
        let list: Vec<&str> = infos.iter().map(|a| a.name.as_str()).collect();
        if list.is_empty() {
            "none".to_string()
        } else {
            list.join(", ")
        }
    };
    let none = |text: String| Err(Error::Runtime(text));
    match setting.to_ascii_lowercase().as_str() {
        "off" => none("gpu: RGRAD_GPU=off switches the GPU off; unset it to use an adapter".into()),
        "" | "auto" => match real() {
            Some(i) => Ok(i),
            None if infos.is_empty() => {
                none("gpu: no adapter was found (a Vulkan, Metal or DX12 driver is needed)".into())
            }
            None => none(format!(
                "gpu: only software adapters were found ({}); set RGRAD_GPU=software to use one",
                names()
            )),
        },
        "software" => match infos.iter().position(|a| a.is_software) {
            Some(i) => Ok(i),
            None => none(format!(
                "gpu: RGRAD_GPU=software asks for a software adapter, but there is none (found: {}); install one, such as Mesa's lavapipe",
                names()
            )),
        },
        other => {
            let index = other.parse::<usize>().ok().filter(|&i| i < infos.len());
            let named = || {
                infos
                    .iter()
                    .position(|a| a.name.to_ascii_lowercase().contains(other))
            };
            match index.or_else(named) {
                Some(i) => Ok(i),
                None => none(format!(
                    "gpu: RGRAD_GPU={setting} names no adapter (auto, off, software, an index or a part of a name is known; found: {})",
                    names()
                )),
            }
        }
    }
}
