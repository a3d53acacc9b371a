// Each invocation folds one stretch of one row of x by itself: for short rows, and for rows that lie
// across memory, where neighbours then read neighbouring elements.
// The definitions in front bind x (a) and y, and bring get_a, put_y, Acc, START, lift and join.
// extra: row length, elements of a stretch, stretches of a row, step of y between stretches.

@compute @workgroup_size(WG)
fn fold_col(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let job = flat(id, groups);
    if job >= at.invocations { return; }
    let part = job / at.count;
    let here = walk(job - part * at.count);
    let end = min(at.extra.x, (part + 1u) * at.extra.y);
    var acc = START;
    for (var k = part * at.extra.y; k < end; k++) {
        acc = join(acc, lift(get_a(here.x + k * at.steps.x)));
    }
    put_y(here.w + part * at.extra.w, drop_(acc));
}
