/*
 * Short forms of HDF5 calls (store_internal.h).
 *
 * One idea: each function opens, does one thing, closes, and says whether all of it worked.
 */
#include <stdlib.h>
#include <string.h>

#include "datasets/store_internal.h"

#undef rg__h5_fail

enum { LONGEST_TEXT = 1 << 20 };

void rg__h5_quiet(void)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

static herr_t deepest_error(unsigned n, const H5E_error2_t *entry, void *ctx)
{
    if (n == 0 && entry->desc) rg_copy_text(ctx, 160, entry->desc);
    return 0;
}

rg_status rg__h5_fail(rg_error *err, rg_status code, const char *path, const char *what)
{
    char text[160] = "no reason given";
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, deepest_error, text);
    H5Eclear2(H5E_DEFAULT);
    return rg_fail(err, code, "%s: %s (HDF5: %s)", path, what, text);
}

/* Makes a new file, or opens one to change it. */
static hid_t open_to_write(const char *path, bool new, rg_error *failure)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), file = -1;
    if (access >= 0 && rg__h5_set_driver(access, failure) &&
        H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_LATEST) >= 0 &&
        H5Pset_alignment(access, 16 * RG__ALIGNMENT, RG__ALIGNMENT) >= 0 &&
        H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) >= 0)
        file = new ? H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, access)
                   : H5Fopen(path, H5F_ACC_RDWR, access);
    H5Pclose(access);
    return file;
}

hid_t rg__h5_create(const char *path, rg_error *failure)
{
    return open_to_write(path, true, failure);
}

hid_t rg__h5_change(const char *path, rg_error *failure)
{
    return open_to_write(path, false, failure);
}

hid_t rg__h5_open(const char *path)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), file = -1;
    if (access >= 0 && rg__h5_set_driver(access, NULL) &&
        H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) >= 0)
        file = H5Fopen(path, H5F_ACC_RDONLY, access);
    H5Pclose(access);
    return file;
}

rg_status rg__h5_close_new(hid_t file, rg_status status, const rg_error *failure, rg_error *err)
{
    bool closed = file < 0 || H5Fclose(file) >= 0;
    if (failure->code != RG_OK) {
        if (err && status != RG_OK) rg_error_clear(err); /* what failed first is the cause */
        return rg_fail(err, failure->code, "%s", failure->text);
    }
    if (status == RG_OK && !closed) return rg__h5_fail(err, RG_ERR_IO, "store", "closing failed");
    return status;
}

bool rg__h5_make_group(hid_t at, const char *name)
{
    hid_t group = H5Gcreate2(at, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    return group >= 0 && H5Gclose(group) >= 0;
}

hid_t rg__h5_text_column(size_t size)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    if (type >= 0 && (H5Tset_size(type, size) < 0 || H5Tset_cset(type, H5T_CSET_UTF8) < 0 ||
                      H5Tset_strpad(type, H5T_STR_NULLPAD) < 0)) {
        H5Tclose(type);
        return -1;
    }
    return type;
}

bool rg__h5_put(hid_t at, const char *name, hid_t type, const void *values, hsize_t n)
{
    hid_t space = n ? H5Screate_simple(1, &n, NULL) : H5Screate(H5S_SCALAR);
    hid_t attr = H5Acreate2(at, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    bool ok = attr >= 0 && H5Awrite(attr, type, values) >= 0;
    if (attr >= 0) ok = H5Aclose(attr) >= 0 && ok;
    H5Sclose(space);
    return ok;
}

bool rg__h5_put_text(hid_t at, const char *name, const char *text)
{
    const char *s = text && *text ? text : " ";
    hid_t type = rg__h5_text_column(strlen(s));
    bool ok = type >= 0 && rg__h5_put(at, name, type, s, 0);
    if (type >= 0) H5Tclose(type);
    return ok;
}

hid_t rg__h5_fixed_text(size_t size)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, size);
    H5Tset_cset(type, H5T_CSET_UTF8);
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    return type;
}

char *rg__h5_get_long_text(hid_t at, const char *name)
{
    hid_t attr = H5Aopen(at, name, H5P_DEFAULT);
    hid_t type = attr >= 0 ? H5Aget_type(attr) : -1, space = attr >= 0 ? H5Aget_space(attr) : -1;
    char *text = NULL;
    size_t size = type >= 0 ? H5Tget_size(type) : 0;
    if (size > 0 && size <= LONGEST_TEXT && H5Tget_class(type) == H5T_STRING &&
        H5Tis_variable_str(type) == 0 && H5Sget_simple_extent_npoints(space) == 1) {
        text = calloc(1, size + 1);
        hid_t memory = text ? rg__h5_text_column(size) : -1;
        if (memory >= 0) H5Tset_cset(memory, H5Tget_cset(type));
        if (memory < 0 || H5Aread(attr, memory, text) < 0) {
            free(text);
            text = NULL;
        }
        if (memory >= 0) H5Tclose(memory);
    }
    if (text && strcmp(text, " ") == 0) text[0] = 0;
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
    if (attr >= 0) H5Aclose(attr);
    return text;
}

bool rg__h5_get_text(hid_t at, const char *name, char *out, size_t size)
{
    char *text = rg__h5_get_long_text(at, name);
    rg_copy_text(out, size, text ? text : "");
    free(text);
    return text != NULL;
}

bool rg__h5_get(hid_t at, const char *name, hid_t type, void *values, hsize_t n)
{
    hid_t attr = H5Aopen(at, name, H5P_DEFAULT);
    if (attr < 0) return false;
    hid_t space = H5Aget_space(attr);
    bool ok = space >= 0 && H5Sget_simple_extent_npoints(space) == (hssize_t)(n ? n : 1) &&
              H5Aread(attr, type, values) >= 0;
    if (space >= 0) H5Sclose(space);
    H5Aclose(attr);
    return ok;
}

bool rg__h5_write(hid_t at, const char *name, hid_t type, const void *values, hsize_t n)
{
    hid_t space = H5Screate_simple(1, &n, NULL);
    hid_t set = H5Dcreate2(at, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    bool ok =
        set >= 0 && (n == 0 || H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    if (set >= 0) ok = H5Dclose(set) >= 0 && ok;
    H5Sclose(space);
    return ok;
}

hid_t rg__h5_write_array(hid_t at, const char *name, hid_t type, int32_t rank, const int64_t *dims,
                         const void *values)
{
    hsize_t extents[3] = {0};
    for (int32_t i = 0; i < rank; i++) extents[i] = (hsize_t)dims[i];
    hid_t space = H5Screate_simple(rank, extents, NULL);
    hid_t set = H5Dcreate2(at, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Sclose(space);
    if (set >= 0 && H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0) {
        H5Dclose(set);
        return -1;
    }
    return set;
}

hid_t rg__h5_write_rows(hid_t at, const char *name, hid_t type, int32_t rows, int64_t columns,
                        const void *values)
{
    const int64_t dims[2] = {rows, columns};
    return rg__h5_write_array(at, name, type, 2, dims, values);
}

static hssize_t points(hid_t set)
{
    hid_t space = set >= 0 ? H5Dget_space(set) : -1;
    hssize_t n = space >= 0 ? H5Sget_simple_extent_npoints(space) : -1;
    if (space >= 0) H5Sclose(space);
    return n;
}

int64_t rg__h5_length(hid_t at, const char *name)
{
    hid_t set = H5Dopen2(at, name, H5P_DEFAULT);
    int64_t n = points(set);
    if (set >= 0) H5Dclose(set);
    return n;
}

bool rg__h5_read(hid_t at, const char *name, hid_t type, void *values, hsize_t n)
{
    hid_t set = H5Dopen2(at, name, H5P_DEFAULT);
    bool ok = set >= 0 && points(set) == (hssize_t)n &&
              (n == 0 || H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    if (set >= 0) H5Dclose(set);
    return ok;
}
