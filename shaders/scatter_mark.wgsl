// First pass of scatter: for each place of the target the number of the last source element that goes
// there, plus one. A maximum is the same in any order, so the result does not depend on scheduling.
@group(0) @binding(1) var<storage, read_write> winner: array<atomic<u32>>;

// The definitions in front bind index (a), and bring get_a and complain.
// extra: size of the target along the dimension. steps.w: stride of the winners along it.

@compute @workgroup_size(WG)
fn scatter_mark(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat(id, groups);
    if i >= at.invocations { return; }
    let here = walk(i);
    let k = get_a(here.x);
    if k < 0 || u32(k) >= at.extra.x {
        complain(long_of_int_(k));
        return;
    }
    atomicMax(&winner[here.w + u32(k) * at.steps.w], i + 1u);
}
