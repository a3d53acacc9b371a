// y[..., i, ...] = x[..., index[i], ...]: each element of y looks up its own index.
// The definitions in front bind x (a), index (b) and y, and bring get_a, get_b, put_y and complain.
// extra: size of x along the dimension. steps: stride of x along it. x is not walked along it.

@compute @workgroup_size(WG)
fn gather(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat(id, groups);
    if i >= at.invocations { return; }
    let here = walk(i);
    let k = get_b(here.y);
    if k < 0 || u32(k) >= at.extra.x {
        complain(long_of_int_(k));
        return;
    }
    put_y(here.w, get_a(here.x + u32(k) * at.steps.x));
}
