/* What all kernels share. */
#ifndef REDSHANK_KERNELS_H
#define REDSHANK_KERNELS_H

#include <stdint.h>

#if defined(_WIN32)
#define API __declspec(dllexport)
#else
#define API __attribute__((visibility("default")))
#endif

#endif
