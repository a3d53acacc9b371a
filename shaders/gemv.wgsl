// c = alpha * a b + beta * c where b is one column, in batches, optionally with the inner dimension in
// stretches: LANES invocations share a row, and are neighbours where the row lies along memory.
// The definitions in front bring Elem, and add_product(p, q, sum), which is p q + sum.
@group(0) @binding(0) var<storage, read> a: array<Elem>;
@group(0) @binding(1) var<storage, read> b: array<Elem>;
@group(0) @binding(2) var<storage, read_write> c: array<Elem>;

// sizes[0]: rows, 1, inner, batches. extra: inner elements of a stretch, stretches, c's stretch step.
// strides[0], [1], [2]: of rows, columns and batches in a, b, c. params: alpha, beta.

const ROWS: u32 = WG / LANES;
var<workgroup> parts: array<Elem, WG>;

@compute @workgroup_size(WG)
fn gemv(@builtin(local_invocation_index) t: u32, @builtin(workgroup_id) group: vec3<u32>,
        @builtin(num_workgroups) groups: vec3<u32>) {
    let batch = group.z / at.extra.y;
    let stretch = group.z - batch * at.extra.y;
    let begin = stretch * at.extra.x;
    let end = min(at.sizes[0].z, begin + at.extra.x);
    let lane = select(t / ROWS, t % LANES, A_ALONG);
    let row = (group.x + group.y * groups.x) * ROWS + select(t % ROWS, t / LANES, A_ALONG);
    var acc = Elem(0);
    if row < at.sizes[0].x {
        let a0 = at.offsets.x + batch * at.strides[2].x + row * at.strides[0].x;
        let b0 = at.offsets.y + batch * at.strides[2].y;
        for (var k = begin + lane; k < end; k += LANES) {
            acc = add_product(a[a0 + k * at.strides[1].x], b[b0 + k * at.strides[0].y], acc);
        }
    }
    // A row's lanes lie together, whatever the order of the invocations.
    let place = select(t % ROWS, t / LANES, A_ALONG) * LANES + lane;
    parts[place] = acc;
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        // Makes the parts of the round before visible.
        workgroupBarrier();
        if lane < half {
            parts[place] += parts[place + half];
        }
    }
    if lane == 0u && row < at.sizes[0].x {
        let e = at.offsets.w + batch * at.strides[2].w + stretch * at.extra.z + row * at.strides[0].w;
        var v = bitcast<Elem>(at.params.x) * parts[place];
        let beta = bitcast<Elem>(at.params.y);
        if beta != Elem(0) { v += beta * c[e]; }
        c[e] = v;
    }
}
