// Each workgroup folds one stretch of one row of x: y[row, stretch] = x[row, k] + x[row, k+1] + ...
// The definitions in front bind x (a) and y, and bring get_a, put_y, Acc, START, lift and join.
// extra: row length, elements of a stretch, stretches of a row, step of y between stretches.

var<workgroup> parts: array<Acc, WG>;

@compute @workgroup_size(WG)
fn fold_row(@builtin(local_invocation_index) t: u32, @builtin(workgroup_id) group: vec3<u32>,
            @builtin(num_workgroups) groups: vec3<u32>) {
    let job = group.x + group.y * groups.x;
    if job >= at.invocations { return; }
    let row = job / at.extra.z;
    let part = job - row * at.extra.z;
    let here = walk(row);
    let end = min(at.extra.x, (part + 1u) * at.extra.y);
    var acc = START;
    for (var k = part * at.extra.y + t; k < end; k += WG) {
        acc = join(acc, lift(get_a(here.x + k * at.steps.x)));
    }
    parts[t] = acc;
    for (var half = WG / 2u; half > 0u; half /= 2u) {
        // Makes the parts of the round before visible.
        workgroupBarrier();
        if t < half {
            parts[t] = join(parts[t], parts[t + half]);
        }
    }
    if t == 0u {
        put_y(here.w + part * at.extra.w, drop_(parts[0]));
    }
}
