// The extreme element of each row of x and where it stands: the first one wins, NaN wins over all.
// The definitions in front bind x (a), the values (y) and the places (c), and bring get_a, put_y,
// put_c, A and beats.
// extra: row length.

struct Best { value: A, place: u32 }
var<workgroup> best: array<Best, WG>;

// Whether q comes before p: more extreme, or as extreme and earlier.
fn better(p: Best, q: Best) -> bool {
    return beats(q.value, p.value) || (!beats(p.value, q.value) && q.place < p.place);
}

@compute @workgroup_size(WG)
fn arg_row(@builtin(local_invocation_index) t: u32, @builtin(workgroup_id) group: vec3<u32>,
           @builtin(num_workgroups) groups: vec3<u32>) {
    let row = group.x + group.y * groups.x;
    if row >= at.count { return; }
    let here = walk(row);
    // Invocations past the end of a short row start from its first element, which loses to itself.
    let first = select(0u, t, t < at.extra.x);
    var mine = Best(get_a(here.x + first * at.steps.x), first);
    for (var k = first + WG; k < at.extra.x; k += WG) {
        let other = Best(get_a(here.x + k * at.steps.x), k);
        if better(mine, other) { mine = other; }
    }
    best[t] = mine;
    for (var half = WG / 2u; half > 0u; half /= 2u) {
        // Makes the candidates of the round before visible.
        workgroupBarrier();
        if t < half && better(best[t], best[t + half]) {
            best[t] = best[t + half];
        }
    }
    if t == 0u {
        put_y(here.w, best[0].value);
        put_c(here.z, i32(best[0].place));
    }
}
