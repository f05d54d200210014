/* The network '$name', exported by tinynet $version. It needs C99 and math.h alone.

       $prototype;

   computes the outputs of one sample. Copy this declaration to where it is called; in C++, put
   extern "C" before it. Arrays are in row-major order and must not overlap.

   Memory: $constant bytes of constants, $scratch bytes of the stack for intermediate results.
   Nothing is allocated, and nothing is kept between calls, so several threads can call it at once.
   Options of the compiler:

       -DPREDICT_BUFFERS=static    uses static memory instead of the stack, for one thread only
       -Dpredict=another_name      renames the function, for programs with several networks

   The outputs are those of the model's `predict` in tinynet, up to rounding. */

$sizes

#ifndef PREDICT_BUFFERS
#define PREDICT_BUFFERS
#endif
