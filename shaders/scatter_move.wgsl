// Second pass of scatter: each place of the target that has a winner takes that source element.
// The definitions in front bind the source, in row-major order (a), the winners (b) and the target (y),
// and bring get_a, get_b and put_y.

@compute @workgroup_size(WG)
fn scatter_move(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat(id, groups);
    if i >= at.invocations { return; }
    let here = walk(i);
    let w = get_b(here.y);
    if w > 0u {
        put_y(here.w, get_a(at.offsets.x + w - 1u));
    }
}
