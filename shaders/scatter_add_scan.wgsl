// y[..., index[k], ...] += x[..., k, ...], where one invocation owns one element of y and looks through
// the line's indexes in the order of k: deterministic, and quick when lines are few.
// The definitions in front bind x (a), index (b) and y, and bring get_a, get_b, get_y, put_y and complain.
// extra: size of y along the dimension, first k, end of k. count: lines.

@compute @workgroup_size(WG)
fn scatter_add_scan(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat(id, groups);
    if i >= at.invocations { return; }
    let mine = i / at.count;
    let here = walk(i - mine * at.count);
    let e = here.w + mine * at.steps.w;
    var sum = get_y(e);
    for (var k = at.extra.y; k < at.extra.z; k++) {
        let j = get_b(here.y + k * at.steps.y);
        if j < 0 || u32(j) >= at.extra.x {
            complain(long_of_int_(j));
        } else if u32(j) == mine {
            sum += get_a(here.x + k * at.steps.x);
        }
    }
    put_y(e, sum);
}
