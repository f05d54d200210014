/* The network '$name', exported by tinynet $version. It needs C99 and math.h alone.

       $prototype;

   computes the outputs of one sample. Copy this line to where it is called; in C++, extern "C"
   stands before it. Arrays are in row-major order and do not overlap.

   Memory: $constant bytes of constants, $scratch bytes of the stack for results in between.
   Nothing is allocated, and nothing is kept between calls, so threads can call it at once.
   Options of the compiler:

       -DPREDICT_BUFFERS=static    takes static memory in place of the stack, for one thread
       -Dpredict=another_name      renames the function, for programs with several networks

   The outputs are those of the model's `predict` in tinynet, up to rounding. */

$sizes

#ifndef PREDICT_BUFFERS
#define PREDICT_BUFFERS
#endif
