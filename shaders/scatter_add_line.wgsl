// y[..., index[k], ...] += x[..., k, ...], where one invocation owns a line of y along the dimension and
// adds in the order of k: deterministic, and quick when there are many lines.
// The definitions in front bind x (a), index (b) and y, and bring get_a, get_b, get_y, put_y and complain.
// extra: size of y along the dimension, first k, end of k.

@compute @workgroup_size(WG)
fn scatter_add_line(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat(id, groups);
    if i >= at.invocations { return; }
    let here = walk(i);
    for (var k = at.extra.y; k < at.extra.z; k++) {
        let j = get_b(here.y + k * at.steps.y);
        if j < 0 || u32(j) >= at.extra.x {
            complain(long_of_int_(j));
            continue;
        }
        let e = here.w + u32(j) * at.steps.w;
        put_y(e, get_y(e) + get_a(here.x + k * at.steps.x));
    }
}
