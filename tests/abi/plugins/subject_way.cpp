// The one constant by which the plugins made of subject.cpp differ: SUBJECT_WAY is an enumerator.
#include "subject.hpp"

const Way k_way = Way::SUBJECT_WAY;
