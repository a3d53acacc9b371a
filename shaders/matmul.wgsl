// c = alpha * a b + beta * c for matrices with any strides, in batches, optionally with the inner
// dimension in stretches (each stretch then writes its own c).
// The definitions in front bring Elem, and add_product(p, q, sum), which is p q + sum.
@group(0) @binding(0) var<storage, read> a: array<Elem>;
@group(0) @binding(1) var<storage, read> b: array<Elem>;
@group(0) @binding(2) var<storage, read_write> c: array<Elem>;

// sizes[0]: rows, columns, inner, batches. extra: inner elements of a stretch, stretches, c's stretch step.
// strides[0], [1], [2]: of rows, columns and batches in a, b, c. params: alpha, beta.
// A workgroup makes a BM x BN tile, an invocation TM x TN of it, spread so that neighbours read
// neighbouring columns of the slabs.

const ACROSS: u32 = BN / TN;
const ROW_STEP: u32 = BM / TM;
const WG: u32 = ACROSS * ROW_STEP;
const A_LOADS: u32 = BM * BK / WG;
const B_LOADS: u32 = BN * BK / WG;
// One more than BM, so that a column written together falls on different banks.
const A_PITCH: u32 = BM + 1u;

var<workgroup> slab_a: array<Elem, BK * A_PITCH>;
var<workgroup> slab_b: array<Elem, BK * BN>;

@compute @workgroup_size(WG)
fn matmul(@builtin(local_invocation_index) t: u32, @builtin(workgroup_id) group: vec3<u32>) {
    let rows = at.sizes[0].x;
    let columns = at.sizes[0].y;
    let batch = group.z / at.extra.y;
    let stretch = group.z - batch * at.extra.y;
    let begin = stretch * at.extra.x;
    let end = min(at.sizes[0].z, begin + at.extra.x);
    let row0 = group.y * BM;
    let column0 = group.x * BN;
    let a0 = at.offsets.x + batch * at.strides[2].x;
    let b0 = at.offsets.y + batch * at.strides[2].y;

    var next_a: array<Elem, A_LOADS>;
    var next_b: array<Elem, B_LOADS>;
    var acc: array<array<Elem, TN>, TM>;

    let slabs = (end - begin + BK - 1u) / BK;
    // One round more than slabs: each loads a slab while the one before is multiplied.
    for (var s = 0u; s <= slabs; s++) {
        let inner0 = begin + s * BK;
        if s < slabs {
            for (var l = 0u; l < A_LOADS; l++) {
                let e = t + l * WG;
                let i = row0 + select(e % BM, e / BK, A_ALONG);
                let k = inner0 + select(e / BM, e % BK, A_ALONG);
                var v = Elem(0);
                if i < rows && k < end { v = a[a0 + i * at.strides[0].x + k * at.strides[1].x]; }
                next_a[l] = v;
            }
            for (var l = 0u; l < B_LOADS; l++) {
                let e = t + l * WG;
                let j = column0 + select(e / BK, e % BN, B_ALONG);
                let k = inner0 + select(e % BK, e / BN, B_ALONG);
                var v = Elem(0);
                if j < columns && k < end { v = b[b0 + k * at.strides[0].y + j * at.strides[1].y]; }
                next_b[l] = v;
            }
        }
        if s > 0u {
            for (var k = 0u; k < BK; k++) {
                var p: array<Elem, TM>;
                var q: array<Elem, TN>;
                for (var i = 0u; i < TM; i++) { p[i] = slab_a[k * A_PITCH + t / ACROSS + i * ROW_STEP]; }
                for (var j = 0u; j < TN; j++) { q[j] = slab_b[k * BN + t % ACROSS + j * ACROSS]; }
                for (var i = 0u; i < TM; i++) {
                    for (var j = 0u; j < TN; j++) { acc[i][j] = add_product(p[i], q[j], acc[i][j]); }
                }
            }
        }
        // All have multiplied the slabs before they are overwritten.
        workgroupBarrier();
        for (var l = 0u; l < A_LOADS; l++) {
            let e = t + l * WG;
            slab_a[select(e / BM, e % BK, A_ALONG) * A_PITCH + select(e % BM, e / BK, A_ALONG)] = next_a[l];
        }
        for (var l = 0u; l < B_LOADS; l++) {
            let e = t + l * WG;
            slab_b[select(e % BK, e / BN, B_ALONG) * BN + select(e / BK, e % BN, B_ALONG)] = next_b[l];
        }
        // Makes the slabs visible to all.
        workgroupBarrier();
    }

    let alpha = bitcast<Elem>(at.params.x);
    let beta = bitcast<Elem>(at.params.y);
    let c0 = at.offsets.w + batch * at.strides[2].w + stretch * at.extra.z;
    for (var i = 0u; i < TM; i++) {
        let row = row0 + t / ACROSS + i * ROW_STEP;
        for (var j = 0u; j < TN; j++) {
            let column = column0 + t % ACROSS + j * ACROSS;
            if row < rows && column < columns {
                let e = c0 + row * at.strides[0].w + column * at.strides[1].w;
                var v = alpha * acc[i][j];
                if beta != Elem(0) { v += beta * c[e]; }
                c[e] = v;
            }
        }
    }
}
