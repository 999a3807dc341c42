package bucket

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"
)

// List implements Bucket. Two files cannot have the names "a" and "a/b", so walking each folder in the order of its
// entries, a folder's name taken with a slash at its end, gives the order of the full names.
func (d *Dir) List(ctx context.Context, prefix, after string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		dir := prefix[:strings.LastIndexByte(prefix, '/')+1]
		if dir != "" && CheckName(strings.TrimSuffix(dir, "/")) != nil {
			yield(Object{}, &fs.PathError{Op: "list", Path: prefix, Err: fs.ErrInvalid})
			return
		}
		d.walk(ctx, dir, prefix, after, yield)
	}
}

// walk yields the objects under a folder (named with a slash at its end), and reports whether to go on.
func (d *Dir) walk(ctx context.Context, dir, prefix, after string, yield func(Object, error) bool) bool {
	if err := ctx.Err(); err != nil {
		yield(Object{}, err)
		return false
	}
	names, err := d.entries(dir, after)
	if err != nil {
		yield(Object{}, err)
		return false
	}
	for _, name := range names {
		name = dir + name
		below := strings.HasSuffix(name, "/")
		switch {
		case below && (strings.HasPrefix(name, prefix) || strings.HasPrefix(prefix, name)):
			if (name > after || strings.HasPrefix(after, name)) && !d.walk(ctx, name, prefix, after, yield) {
				return false
			}
		case !below && strings.HasPrefix(name, prefix) && name > after:
			if !d.yieldFile(name, yield) {
				return false
			}
		}
	}
	return true
}

// entries returns the names in a folder in order; those of folders end with a slash. It leaves out files whose whole names
// are not greater than after: of a long log, only the end is wanted, and sorted.
func (d *Dir) entries(dir, after string) ([]string, error) {
	list, err := readDir(filepath.Join(d.root, filepath.FromSlash(dir)))
	if err != nil {
		if errors.Is(notDirectory(err), fs.ErrNotExist) {
			return nil, nil
		}
		return nil, err
	}
	var names []string
	for _, e := range list {
		name := e.Name()
		if strings.HasPrefix(name, tempPrefix) || e.Type().IsRegular() && dir+name <= after {
			continue
		}
		isDir := e.IsDir()
		if e.Type()&fs.ModeSymlink != 0 {
			info, err := os.Stat(filepath.Join(d.root, filepath.FromSlash(dir), name))
			isDir = err == nil && info.IsDir()
		}
		if isDir {
			name += "/"
		}
		names = append(names, name)
	}
	sort.Strings(names)
	return names, nil
}

// readDir is os.ReadDir without the sorting.
func readDir(path string) ([]fs.DirEntry, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	list, err := f.ReadDir(-1)
	return list, errors.Join(err, f.Close())
}

func (d *Dir) yieldFile(name string, yield func(Object, error) bool) bool {
	o, there, err := stat(name, filepath.Join(d.root, filepath.FromSlash(path.Clean(name))))
	if err != nil {
		yield(Object{}, err)
		return false
	}
	return !there || yield(o, nil) // it may be gone since the folder was read
}

// Look implements RandomAccess.
func (d *Dir) Look(ctx context.Context, names []string) ([]Object, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var found []Object
	for _, name := range names {
		file, err := d.path("look", name)
		if err != nil {
			return nil, err
		}
		o, there, err := stat(name, file)
		if err != nil {
			return nil, err
		}
		if there {
			found = append(found, o)
		}
	}
	return found, nil
}

// stat describes the object in a file, and tells whether there is one.
func stat(name, file string) (Object, bool, error) {
	info, err := os.Stat(file)
	if errors.Is(notDirectory(err), fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return Object{}, false, nil
	}
	if err != nil {
		return Object{}, false, err
	}
	return Object{Name: name, Size: info.Size(), ModTime: info.ModTime()}, true, nil
}
