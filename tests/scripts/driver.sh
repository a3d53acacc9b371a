#!/usr/bin/env bash
# Prints the settings under which GPU tests run on Mesa's software Vulkan driver, as shell text.
# Installs the driver where it is missing and can be installed; otherwise says so and turns the GPU off.
set -euo pipefail
cd "$(dirname "$0")/../.."

find_driver() {
    local folder
    for folder in /usr/share/vulkan/icd.d /etc/vulkan/icd.d /usr/local/share/vulkan/icd.d; do
        [ -d "$folder" ] && find "$folder" -name 'lvp_icd*.json' | sort | head -n 1
    done
    return 0
}

has_loader() {
    "${PY:-.venv/bin/python}" -c 'import ctypes; ctypes.CDLL("libvulkan.so.1")' 2>/dev/null
}

driver=$(find_driver | head -n 1)
if [ -z "$driver" ] || ! has_loader; then
    bash tests/scripts/apt.sh mesa-vulkan-drivers libvulkan1 || true
    driver=$(find_driver | head -n 1)
fi
if [ -z "$driver" ] || ! has_loader; then
    echo "There is no software Vulkan driver and it cannot be installed here: GPU tests will be skipped." >&2
    echo "(Install mesa-vulkan-drivers and libvulkan1, then call 'make driver'.)" >&2
    echo "export RGRAD_GPU=off"
    exit 0
fi
cat <<END
export VK_DRIVER_FILES=$driver
export NODEVICE_SELECT=1
export LP_NUM_THREADS=2
export RGRAD_GPU=software
END
