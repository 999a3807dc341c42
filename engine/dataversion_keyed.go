package engine

import (
	"context"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"
)

// digestMemory is the limit of memory for a digest; see Options.MemoryLimit.
const digestMemory = 512 << 20

// digestKeyed is digest in bounded memory: the rows become entries, as for a resolve, which have the row's hash where those
// have versions.
func (s *tableScan) digestKeyed(ctx context.Context) (Digest, error) {
	t := &keyedTable{scan: s, keys: s.ids}
	k := &keyed{
		plan: &plan{options: Options{MemoryLimit: digestMemory}}, tables: []*keyedTable{t}, seed: newSeed(),
		workers: min(maxWorkers, runtime.GOMAXPROCS(0)), summing: true,
	}
	k.partitions = newPartitions(k.partitioning(k.workers))
	defer k.partitions.close()
	if err := k.read(ctx, t); err != nil {
		return Digest{}, err
	}
	return k.sum(ctx)
}

// sum adds up the newest row of each key.
func (k *keyed) sum(ctx context.Context) (Digest, error) {
	var mu sync.Mutex
	var out Digest
	next := k.partitions.each()
	group, ctx := errgroup.WithContext(ctx)
	for range k.workers {
		group.Go(func() error {
			d, part := newKeyedDecider(k, nil), Digest{}
			for number, ok := next(); ok && ctx.Err() == nil; number, ok = next() {
				if err := d.gather(number); err != nil {
					return err
				}
				d.sumInto(&part)
			}
			mu.Lock()
			defer mu.Unlock()
			out.merge(part)
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return Digest{}, err
	}
	return out.summed(), nil
}

// sumInto adds the samples of the partition at hand.
func (d *keyedDecider) sumInto(out *Digest) {
	for at := 0; at < len(d.samples); at += d.stride {
		sample := d.samples[at : at+d.stride]
		if p, live := row(sample, 0); live {
			hash := d.values[sample[3]+1:]
			out.add(uint128(hash[0], hash[1]), d.tables[0].times.at(p.time()))
		}
	}
}
